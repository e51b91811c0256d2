package:
  pkg.installed:
    - name: brinepool-no-such-package
    - refresh: False
