settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/shop.json
    - contents: '{"price": 3.5,}'
    - check_cmd:
      - python3 -m json.tool < {{ salt['environ.get']('HOME') }}/shop.json
