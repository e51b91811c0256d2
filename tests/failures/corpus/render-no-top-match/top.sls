base:
  'shop-live-*':
    - app
