catalogue:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/catalogue.csv
    - source: http://127.23.0.9:8099/catalogue.csv
    - skip_verify: True
