{%- set home = salt['environ.get']('HOME') %}
catalogue:
  file.managed:
    - name: {{ home }}/catalogue.csv
    - source: file://{{ home }}/downloaded.csv
    - source_hash: sha256=0000000000000000000000000000000000000000000000000000000000000000
    - require:
      - file: downloaded

downloaded:
  file.managed:
    - name: {{ home }}/downloaded.csv
    - contents: "dill;3.50"
