web-settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/no-such-folder/web.conf
    - contents: workers = 2

web:
  service.running:
    - watch:
      - file: web-settings
