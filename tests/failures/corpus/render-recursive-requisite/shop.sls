web:
  cmd.run:
    - name: echo web
    - require:
      - cmd: database

database:
  cmd.run:
    - name: echo database
    - require:
      - cmd: web
