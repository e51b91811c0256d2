base:
  '*':
    - shop.web
