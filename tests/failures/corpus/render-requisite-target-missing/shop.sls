web:
  cmd.run:
    - name: echo web
    - require:
      - cmd: databse
