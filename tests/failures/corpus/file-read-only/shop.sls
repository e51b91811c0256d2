settings:
  file.managed:
    - name: /proc/version
    - contents: workers = 2
