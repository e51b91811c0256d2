pickle:
  cmd.run:
    - name: picklectl --all
