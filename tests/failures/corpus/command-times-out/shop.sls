index:
  cmd.run:
    - name: sleep 30
    - timeout: 1
