settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/shop.conf
    - source: 5

web:
  cmd.run:
    - name: echo web
    - require:
      - file: settings
