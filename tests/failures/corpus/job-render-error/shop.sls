settings:
  cmd.run:
    - name: echo {{ database.url }}
