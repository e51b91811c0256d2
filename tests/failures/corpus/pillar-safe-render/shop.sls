settings:
  cmd.run:
    - name: echo settings
