settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/shop.conf
    - source: salt://files/shop.conf
    - template: jinja
    - context: {port: 8000}
