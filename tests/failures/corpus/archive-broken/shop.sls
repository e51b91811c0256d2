{%- set home = salt['environ.get']('HOME') %}
unpack:
  archive.extracted:
    - name: {{ home }}/shop
    - source: {{ home }}/shop.tar.gz
    - enforce_toplevel: False
