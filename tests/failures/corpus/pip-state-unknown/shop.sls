library:
  pip.installed:
    - name: brinepool-lemon-press
    - no_index: True
