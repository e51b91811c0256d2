settings:
  file.managed:
    - name: /srv/shop/shop.conf
   - contents: workers = 2
