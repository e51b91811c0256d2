settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/shop.conf
    - contents: workers = 2
    - mode: {workers: 2}

web:
  cmd.run:
    - name: echo web
    - require:
      - file: settings
