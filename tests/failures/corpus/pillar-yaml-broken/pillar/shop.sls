workers: [2
port: 8000
