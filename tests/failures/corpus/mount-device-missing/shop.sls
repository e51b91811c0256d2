data:
  mount.mounted:
    - name: {{ salt['environ.get']('HOME') }}/data
    - device: /dev/disk/by-label/shop-data
    - fstype: ext4
    - mkmnt: True
    - persist: False
