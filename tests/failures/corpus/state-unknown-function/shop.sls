settings:
  file.present:
    - name: /srv/shop/shop.conf
