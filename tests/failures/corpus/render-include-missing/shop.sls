include:
  - shop.databse

settings:
  cmd.run:
    - name: echo settings
