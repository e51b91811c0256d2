settings:
  cmd.run:
    - name: echo web
