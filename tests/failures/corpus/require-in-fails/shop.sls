certificate:
  cmd.run:
    - name: "echo 'certificate shop.example.org has expired' >&2; exit 1"
    - require_in:
      - cmd: proxy

proxy:
  cmd.run:
    - name: echo proxy
