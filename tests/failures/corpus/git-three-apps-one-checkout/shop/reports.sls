{%- set base = salt['environ.get']('HOME') ~ '/shop' %}
include:
  - shop

reports-settings:
  file.managed:
    - name: {{ base }}/reports.conf
    - contents: "branch = feature/crat"
    - require:
      - git: checkout

reports-build:
  cmd.run:
    - name: make reports
    - cwd: {{ base }}/checkout
    - require:
      - git: checkout
      - file: reports-settings

reports-service:
  service.running:
    - name: reports
    - watch:
      - cmd: reports-build
