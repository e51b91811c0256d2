settings:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/web.conf
    - contents: workers = 2

reload:
  cmd.wait:
    - name: "echo 'nginx: [emerg] unknown directive workers in web.conf:1' >&2; exit 1"
    - listen:
      - file: settings
