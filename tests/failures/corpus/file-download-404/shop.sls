catalogue:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/catalogue.csv
    - source: http://{{ pillar['brinepool']['address'] }}:8090/catalogue.csv
    - skip_verify: True
