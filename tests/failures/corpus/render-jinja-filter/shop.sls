settings:
  file.managed:
    - name: /srv/shop/{{ 'Brine and Barrel' | kebab }}.conf
