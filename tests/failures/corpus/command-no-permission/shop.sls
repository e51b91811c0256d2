publish:
  cmd.run:
    - name: cp /etc/hostname /etc/shop-hostname
    - runas: nobody
    - cwd: /
