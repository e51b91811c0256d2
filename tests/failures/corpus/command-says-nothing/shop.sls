check:
  cmd.run:
    - name: exit 7
