build:
  cmd.run:
    - name: make
    - cwd: /srv/shop/no-such-folder
