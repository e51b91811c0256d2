folders:
  file.directory:
    - names:
      - {{ salt['environ.get']('HOME') }}/images
      - /proc/shop-images
      - {{ salt['environ.get']('HOME') }}/logs

fill:
  cmd.run:
    - name: echo filled
    - require:
      - file: folders
