build:
  cmd.run:
    - name: make
    - runas: nosuchuser
