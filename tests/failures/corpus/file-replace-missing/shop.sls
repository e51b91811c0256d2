settings:
  file.replace:
    - name: {{ salt['environ.get']('HOME') }}/shop.conf
    - pattern: workers = .*
    - repl: workers = 2
