{%- set base = salt['environ.get']('HOME') ~ '/shop' %}
include:
  - shop

search-settings:
  file.managed:
    - name: {{ base }}/search.conf
    - contents: "branch = feature/crat"
    - require:
      - git: checkout

search-build:
  cmd.run:
    - name: make search
    - cwd: {{ base }}/checkout
    - require:
      - git: checkout
      - file: search-settings

search-service:
  service.running:
    - name: search
    - watch:
      - cmd: search-build
