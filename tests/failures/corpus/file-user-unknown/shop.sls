settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/shop.conf
    - contents: workers = 2
    - user: shopkeeper
