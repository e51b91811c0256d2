workers: {{ 8 // servers }}
