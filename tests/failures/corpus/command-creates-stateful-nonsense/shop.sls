sync:
  cmd.run:
    - name: echo everything is in order
    - stateful: True
