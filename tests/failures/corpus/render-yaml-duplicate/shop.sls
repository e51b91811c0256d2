settings:
  file.managed:
    - name: /srv/shop/shop.conf

settings:
  file.managed:
    - name: /srv/shop/other.conf
