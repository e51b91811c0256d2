{%- set home = salt['environ.get']('HOME') %}
certificate:
  x509.certificate_managed:
    - name: {{ home }}/shop.crt
    - CN: shop.example.org
    - private_key: {{ home }}/shop.key
    - signing_private_key: {{ home }}/ca.key
