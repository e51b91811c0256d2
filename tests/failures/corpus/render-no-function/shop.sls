settings:
  file:
    - name: /srv/shop/shop.conf
