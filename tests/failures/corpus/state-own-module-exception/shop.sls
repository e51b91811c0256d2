cucumbers:
  barrel.filled:
    - litres: 20
    - jars: 0
