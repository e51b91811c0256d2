settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/shop.conf
    - contents: "url = {{ database.url }}"
