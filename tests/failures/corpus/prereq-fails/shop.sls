drain:
  cmd.run:
    - name: "echo 'load balancer refused to drain cart-test-api-1' >&2; exit 1"
    - prereq:
      - file: release

release:
  file.managed:
    - name: {{ salt['environ.get']('HOME') }}/release.txt
    - contents: "2.0"

announce:
  cmd.run:
    - name: echo announced
    - require:
      - file: release
