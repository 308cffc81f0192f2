"""What moves real arms: one adapter a bus, all driven by one loop; no ROS in here."""
