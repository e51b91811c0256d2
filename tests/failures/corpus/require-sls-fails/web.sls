include:
  - database

web:
  cmd.run:
    - name: echo web
    - require:
      - sls: database
