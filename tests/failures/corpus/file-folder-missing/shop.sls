settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/etc/shop/shop.conf
    - contents: workers = 2
