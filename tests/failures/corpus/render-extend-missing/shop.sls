extend:
  databse:
    cmd.run:
      - name: echo other
