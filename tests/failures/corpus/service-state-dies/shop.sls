web:
  service.running: []
