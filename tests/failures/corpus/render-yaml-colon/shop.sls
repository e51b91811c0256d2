settings:
  file.managed:
    - name: /srv/shop/shop.conf
    - contents: url: http://shop.example.org
