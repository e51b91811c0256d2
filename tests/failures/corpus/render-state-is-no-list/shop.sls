settings:
  file.managed:
    name: /srv/shop/shop.conf
