copy:
  salt.function:
    - name: file.copy
    - tgt: cart-test-api-1
    - arg: [/srv/shop/a.conf, /srv/shop/b.conf]
